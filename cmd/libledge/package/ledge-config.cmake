# find_package(ledge) gives the target ledge::ledge. The files may lie anywhere, as
# long as they lie as they were built, include/, lib/, lib/cmake/ledge/, or as
# Debian's packages have them, include/, lib/TRIPLET/, lib/TRIPLET/cmake/ledge/.
get_filename_component(_ledge_lib "${CMAKE_CURRENT_LIST_DIR}/../.." REALPATH)
get_filename_component(_ledge_include "${_ledge_lib}/../include" ABSOLUTE)
if(NOT EXISTS "${_ledge_include}/ledge.h")
  get_filename_component(_ledge_include "${_ledge_lib}/../../include" ABSOLUTE)
endif()
if(NOT TARGET ledge::ledge)
  add_library(ledge::ledge SHARED IMPORTED)
  set_target_properties(ledge::ledge PROPERTIES
    IMPORTED_LOCATION "${_ledge_lib}/libledge.so.1"
    IMPORTED_SONAME "libledge.so.1"
    INTERFACE_INCLUDE_DIRECTORIES "${_ledge_include}")
endif()
unset(_ledge_lib)
unset(_ledge_include)
