// signals.h: SIGINT and SIGTERM end a wait, if the program has not said otherwise.
#pragma once

namespace websock {

// While one of these lives, both signals write to wake_fd, an eventfd, provided that
// their disposition was the default one; it is put back when the last one goes. Several
// contexts may wait at a time.
class StopSignals
{
  public:
    explicit StopSignals(int wake_fd);
    ~StopSignals();
    StopSignals(const StopSignals &) = delete;
    StopSignals &operator=(const StopSignals &) = delete;

  private:
    int slot_ = -1;
};

} // namespace websock
