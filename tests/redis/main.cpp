// main.cpp: the program of these tests. They are apart from the others, since they need a
// redis-server, and stand in for the library.
#define DOCTEST_CONFIG_IMPLEMENT
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN // alone it has no effect behind a precompiled header
#include <doctest/doctest.h>
