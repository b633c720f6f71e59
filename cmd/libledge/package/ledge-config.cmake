# find_package(ledge) gives the target ledge::ledge. The files may lie anywhere, as
# long as they lie as they were built: include/, lib/, lib/cmake/ledge/.
get_filename_component(_ledge_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET ledge::ledge)
  add_library(ledge::ledge SHARED IMPORTED)
  set_target_properties(ledge::ledge PROPERTIES
    IMPORTED_LOCATION "${_ledge_prefix}/lib/libledge.so.1"
    IMPORTED_SONAME "libledge.so.1"
    INTERFACE_INCLUDE_DIRECTORIES "${_ledge_prefix}/include")
endif()
unset(_ledge_prefix)
