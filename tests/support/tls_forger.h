// tls_forger.h: TLS 1.3 records that no TLS library would write, encrypted with a test client's
// keys: handshake messages in pieces, which RFC 8446 5.1 allows. No test cases.
#pragma once

#include "client.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace test {

inline constexpr char kHandshakeContent = 22; // RFC 8446 B.1
inline constexpr char kApplicationContent = 23;

class TlsForger
{
  public:
    // client speaks TLS_AES_128_GCM_SHA256 and has sent so many records since its handshake.
    // From now on only the forger sends.
    TlsForger(Client &client, uint64_t records_sent);

    void send(char content_type, std::string_view content);
    // Two records that arrive together.
    void send(char content_type, std::string_view content, char next_type, std::string_view next);

  private:
    std::string seal(char content_type, std::string_view content);
    void write(const std::string &records);

    Client &client_;
    std::string key_;
    std::string iv_;
    uint64_t sequence_;
};

} // namespace test
