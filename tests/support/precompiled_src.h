// precompiled_src.h: what much of src/ includes, for PRECOMPILED=src (see tests.mk). No file relies
// on it: each includes what it uses, as include_test.py checks.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <openssl/ssl.h>
