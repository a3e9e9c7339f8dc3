// main.cpp: the program of these tests. They are apart from the others, since they need a
// redis-server, and stand in for the library.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
