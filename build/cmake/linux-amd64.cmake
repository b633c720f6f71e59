# Linux on x86_64 with glibc 2.31 or later, with zig's C compiler, on any Linux: what the packages are built with.
# build/zig.sh fetches it.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
get_filename_component(zig_cc "${CMAKE_CURRENT_LIST_DIR}/../zig-cc.sh" ABSOLUTE)
set(LEDGE_CC "${zig_cc} amd64" CACHE STRING "the C compiler, with arguments")
set(LEDGE_GLIBC 2.31 CACHE STRING "the latest glibc that what is built may need")
if(NOT CMAKE_HOST_SYSTEM_PROCESSOR STREQUAL CMAKE_SYSTEM_PROCESSOR)
  # For tests: qemu, and a folder with the C library of that machine (Debian: qemu-user-static, libc6-amd64-cross).
  set(LEDGE_EMULATOR "qemu-x86_64-static -L /usr/x86_64-linux-gnu" CACHE STRING "what runs programs of x86_64")
endif()
