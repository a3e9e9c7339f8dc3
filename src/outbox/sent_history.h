// sent_history.h: what an Outbox knows of the text that its client can refer back to: the end of
// what has been sent compressed, in the order of the wire. It compresses nothing, and locks
// nothing: the outbox's lock guards it.
//
// Whoever compresses does so without the lock, for one version of the history. If something else
// was sent meanwhile, the version is another one, and the result worthless.
//
// What is kept need not be all that the client has, but must be the end of it. So it may be
// emptied at any time.
#pragma once

#include "compression/history.h"

#include <cstdint>
#include <new>
#include <span>
#include <utility>

namespace websock {

class SentHistory
{
  public:
    // most: bytes that are kept. 0: none.
    explicit SentHistory(size_t most) : most_(most), history_(most) {}

    size_t most() const { return most_; }
    uint64_t version() const { return version_; }
    std::span<const uint8_t> bytes() const { return history_.bytes(); }
    size_t memory() const { return history_.memory(); }

    // A compressed message, or a fragment of one, has its place on the wire.
    void add(std::span<const uint8_t> plain) noexcept
    {
        version_ = ++versions_;
        try {
            history_.append(plain);
        } catch (const std::bad_alloc &) {
            history_.clear();
        }
    }

    // While one of these lives, something is sent of which it is not known yet how much will leave.
    // What others send meanwhile refers to nothing before it.
    class Gap
    {
      public:
        explicit Gap(SentHistory &of)
            : of_(of), before_(std::move(of.history_)), version_(of.version_)
        {
            of_.history_ = History(of_.most_);
            of_.version_ = inside_ = ++of_.versions_;
        }
        // So it is over. Call add() with what has left, after this. False: others have sent
        // something behind it, so the history does not end with it.
        bool close() noexcept
        {
            if (of_.version_ != inside_)
                return false;
            of_.history_ = std::move(before_);
            of_.version_ = version_;
            return true;
        }
        Gap(const Gap &) = delete;
        Gap &operator=(const Gap &) = delete;

      private:
        SentHistory &of_;
        History before_;
        uint64_t version_;
        uint64_t inside_ = 0;
    };

  private:
    size_t most_;
    History history_;
    uint64_t versions_ = 1; // no other history of this client has had a number up to it
    uint64_t version_ = 1;
};

} // namespace websock
