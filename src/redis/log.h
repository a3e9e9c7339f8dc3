// log.h: lines for the user's onlog. Unlike those of the library they come from the threads of an
// engine.
#pragma once

#include <atomic>
#include <cstdint>
#include <websock/websock.h>

namespace websock::redis {

class Log
{
  public:
    explicit Log(libwebsock_context &context) : context_(context) {}

    // A line, formatted as by printf(3), escaped and cut. Any thread.
    void write(int level, const char *format, ...) __attribute__((format(printf, 3, 4)));

    // For what others can cause as often as they like: true once a minute.
    class Minutely
    {
      public:
        bool due();

      private:
        std::atomic<int64_t> next_ms_{0};
    };

  private:
    libwebsock_context &context_;
};

} // namespace websock::redis
