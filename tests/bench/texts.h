// texts.h: the messages of the benchmark of compression: like those of real applications, and all
// different over more than a window, so that no server finds a whole message in its history.
// How they are sent is deflate_client.h's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bench {

// An endless sequence that repeats itself.
class Texts
{
  public:
    // kind: ticker (150 bytes of JSON), json2k, json64k or random2k. Gives up on others.
    explicit Texts(std::string_view kind);

    size_t count() const { return texts_.size(); }
    const std::string &text(size_t i) const { return texts_[i % texts_.size()]; }
    bool utf8() const { return utf8_; } // otherwise messages are binary
    size_t longest() const;

  private:
    bool utf8_;
    std::vector<std::string> texts_;
};

} // namespace bench
