// signals.h: SIGINT and SIGTERM end libwebsock_wait, and a second one ends its drain, unless
// the program handles them itself.
#pragma once

namespace websock {

// While one of these lives, both signals write to wake_fd, an eventfd, if their disposition was
// the default one. The last one to go restores it. Several contexts may wait at a time. In a
// child that was forked meanwhile the signals have their default effect.
class StopSignals
{
  public:
    explicit StopSignals(int wake_fd);
    ~StopSignals();
    StopSignals(const StopSignals &) = delete;
    StopSignals &operator=(const StopSignals &) = delete;

    // How many signals have come since it was made.
    unsigned count() const;

  private:
    int slot_ = -1;
    unsigned before_ = 0; // signals that had come by then
};

} // namespace websock
