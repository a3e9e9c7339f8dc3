// opening.h: the opening handshakes of an honest client, one step per answer of the server.
#pragma once

#include "link.h"

#include <string>

namespace siege {

class Opening
{
  public:
    Opening(uint16_t port, bench::TlsClient *tls) : link_(port, tls) {}

    Link &link() { return link_; }

    // Waits for something to do, at most this long. False if the connection has failed.
    bool wait(int milliseconds);
    // done: the connection is upgraded.
    Progress go_on();
    // Bytes that followed the answer.
    std::string_view rest() const { return rest_; }

  private:
    enum class Stage { connecting, securing, upgrading, open };

    Progress upgrade();

    Link link_;
    Stage stage_ = Stage::connecting;
    bool has_come_ = false;
    std::string answer_;
    std::string rest_;
};

} // namespace siege
