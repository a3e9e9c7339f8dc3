// signals.h: SIGINT and SIGTERM end a wait, and its drain, if the program has not said
// otherwise.
#pragma once

namespace websock {

// While one of these lives, both signals write to wake_fd, an eventfd, provided that
// their disposition was the default one; it is put back when the last one goes. Several
// contexts may wait at a time. In a child that was forked meanwhile the signals do what
// they do by default.
class StopSignals
{
  public:
    explicit StopSignals(int wake_fd);
    ~StopSignals();
    StopSignals(const StopSignals &) = delete;
    StopSignals &operator=(const StopSignals &) = delete;

    // How many have come since.
    unsigned count() const;

  private:
    int slot_ = -1;
    unsigned before_ = 0; // how many had come
};

} // namespace websock
