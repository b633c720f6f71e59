# The version of the C interface, LEDGE_ABI_VERSION of ledge.h, which build/libledge.sh puts here: a library has what
# older ones had. One that had not would be another library, libledge.so.2.
set(PACKAGE_VERSION "@LEDGE_ABI_VERSION@")
if(PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
  if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
endif()
