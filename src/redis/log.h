// log.h: lines of the log that say which server they are about, and how often something is said.
#pragma once

#include <atomic>
#include <cstdint>
#include <websock/websock.h>

namespace websock::redis {

class Log
{
  public:
    explicit Log(libwebsock_context &context) : context_(context) {}

    // A line, formatted as by printf(3), and cut; the library escapes it. Any thread.
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
