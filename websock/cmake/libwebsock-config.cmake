# libwebsock-config.cmake: what find_package(libwebsock) reads: the target
# libwebsock::libwebsock, with all that a C or C++ program needs to link. It looks for the
# header and the archive beside itself, so the installation may be moved.
include(CMakeFindDependencyMacro)
find_dependency(OpenSSL 3)
find_dependency(ZLIB)
find_dependency(Threads)

if(NOT TARGET libwebsock::libwebsock)
  get_filename_component(_libwebsock_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
  add_library(libwebsock::libwebsock STATIC IMPORTED)
  set_target_properties(libwebsock::libwebsock PROPERTIES
    IMPORTED_LOCATION "${_libwebsock_prefix}/lib/libwebsock.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_libwebsock_prefix}/include"
    # The inside is C++, which a C program's linker has to be told.
    INTERFACE_LINK_LIBRARIES "OpenSSL::SSL;OpenSSL::Crypto;ZLIB::ZLIB;Threads::Threads;stdc++")
  unset(_libwebsock_prefix)
endif()
