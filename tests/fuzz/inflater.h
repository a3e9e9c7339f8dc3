// inflater.h: the compressed messages of one side of a connection (RFC 7692), read with a single
// state of zlib that lives as long as the connection, to compare the library with. Its windows are
// of 15 bits. Uses nothing of the library.
#pragma once

#include "reference.h"

#include <string>
#include <utility>
#include <zlib.h>

namespace fuzz {

class PlainInflater
{
  public:
    // takeover: a message may refer to those before it. most: bytes of a message.
    PlainInflater(bool takeover, uint64_t most) : takeover_(takeover), most_(most)
    {
        require(inflateInit2(&stream_, -15) == Z_OK, "zlib has no memory");
    }
    ~PlainInflater() { inflateEnd(&stream_); }
    PlainInflater(const PlainInflater &) = delete;
    PlainInflater &operator=(const PlainInflater &) = delete;

    // Makes the payload of a frame plain. 0, or what the connection is closed with.
    uint16_t feed(PlainFrame &frame)
    {
        std::string plain;
        const bool good = frame.payload.empty() || run(bytes_of(frame.payload), plain);
        has_payload_ = has_payload_ || !frame.payload.empty();
        message_ += plain;
        if (message_.size() > most_)
            return 1009;
        if (!good || (frame.message_opcode == 1 && !may_be_text(frame.fin)))
            return 1007;
        frame.payload = plain;
        return frame.fin ? end_message() : uint16_t{0};
    }

  private:
    // False: this is no DEFLATE. It stops where the message has too much.
    bool run(Bytes in, std::string &plain)
    {
        stream_.next_in = const_cast<Bytef *>(in.data());
        stream_.avail_in = static_cast<uInt>(in.size());
        for (;;) {
            if (at_final_end_ && stream_.avail_in == 0)
                return true;
            if (std::exchange(at_final_end_, false))
                inflateResetKeep(&stream_);
            Bytef room[100];
            stream_.next_out = room;
            stream_.avail_out = sizeof room;
            const int result = inflate(&stream_, Z_SYNC_FLUSH);
            plain.append(room, stream_.next_out);
            at_final_end_ = result == Z_STREAM_END;
            if (result != Z_OK && result != Z_BUF_ERROR && !at_final_end_)
                return false;
            if (message_.size() + plain.size() > most_)
                return true;
            if (!at_final_end_ && stream_.avail_in == 0 && stream_.avail_out > 0)
                return true;
        }
    }

    uint16_t end_message()
    {
        static constexpr uint8_t kTail[] = {0x00, 0x00, 0xff, 0xff};
        std::string plain;
        if (has_payload_ && !at_final_end_ &&
            (!run(kTail, plain) || !plain.empty() || (stream_.data_type & 128) == 0))
            return 1007;
        if (std::exchange(at_final_end_, false))
            inflateResetKeep(&stream_);
        if (!takeover_)
            inflateReset(&stream_);
        message_.clear();
        has_payload_ = false;
        return 0;
    }

    bool may_be_text(bool whole) const
    {
        const TextVerdict verdict = judge_text(bytes_of(message_));
        return verdict.bad_at == TextVerdict::kNone &&
               (!whole || verdict.whole_characters == message_.size());
    }

    const bool takeover_;
    const uint64_t most_;
    z_stream stream_ = {};
    std::string message_;
    bool has_payload_ = false; // a frame of the message had
    bool at_final_end_ = false;
};

} // namespace fuzz
