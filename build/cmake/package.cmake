# What cpack calls when the files are installed in CPACK_TEMPORARY_DIRECTORY: build/pack.sh makes the packages.
execute_process(
  COMMAND bash ${CPACK_LEDGE_SOURCE}/build/pack.sh "${CPACK_TEMPORARY_DIRECTORY}${CPACK_PACKAGING_INSTALL_PREFIX}"
    ${CPACK_LEDGE_ARCH} "${CPACK_TEMPORARY_DIRECTORY}/packages"
  RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "build/pack.sh failed: ${failed}")
endif()
file(GLOB CPACK_EXTERNAL_BUILT_PACKAGES "${CPACK_TEMPORARY_DIRECTORY}/packages/*")
