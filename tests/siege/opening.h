// opening.h: the handshakes of one who wants to be served, step by step as the server answers.
#pragma once

#include "link.h"

#include <string>

namespace siege {

class Opening
{
  public:
    Opening(uint16_t port, bench::TlsClient *tls) : link_(port, tls) {}

    Link &link() { return link_; }

    // Until there is something to go on with, or so long. False: the connection has failed.
    bool wait(int milliseconds);
    // done: it has been upgraded.
    Progress go_on();
    // What has come behind the answer.
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
