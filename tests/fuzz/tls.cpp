// tls.cpp: fuzz target: TlsSession with OpenSSL's own client at the other end, over memory.
// The input is a program for both ends: handshake, write, read, change keys, close; and for
// the wire between them, which cuts, changes, drops and invents bytes. What gets through must
// be what was written, in order; and on an honest wire, all of it.
//
// Input: a byte of choices for the client, then steps of one byte and their arguments.
#include "target.h"

#include "tests/support/certificates.h"
#include "transport/tls_config.h"
#include "transport/tls_session.h"

#include <openssl/err.h>
#include <vector>

using namespace fuzz;
using websock::TlsConfig;
using websock::TlsSession;

namespace {

constexpr uint8_t kTls12 = 1;
constexpr uint8_t kServerName = 2;
constexpr uint8_t kHttpAlpn = 4;
constexpr uint8_t kOtherAlpn = 8; // which is refused

constexpr size_t kMostSteps = 64;

const TlsConfig &server_config()
{
    static const auto loaded = [] {
        const test::CertificateFiles &files = test::default_certificate();
        websock::TlsOptions options;
        options.files = {files.key_file, files.cert_file, ""};
        options.min_version = TLS1_2_VERSION;
        return TlsConfig::load(options);
    }();
    require(loaded.config != nullptr, "no certificate");
    return *loaded.config;
}

websock::OwnedSsl make_client(uint8_t choices)
{
    static const websock::OwnedSslCtx context(SSL_CTX_new(TLS_client_method()));
    websock::OwnedSsl ssl(SSL_new(context.get()));
    require(ssl != nullptr, "no client");
    SSL_set_connect_state(ssl.get());
    SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if ((choices & kTls12) != 0)
        SSL_set_max_proto_version(ssl.get(), TLS1_2_VERSION);
    if ((choices & kServerName) != 0)
        SSL_set_tlsext_host_name(ssl.get(), "localhost");
    static constexpr unsigned char kHttp[] = "\x02h2\x08http/1.1";
    static constexpr unsigned char kOther[] = "\x02h2";
    if ((choices & kOtherAlpn) != 0)
        SSL_set_alpn_protos(ssl.get(), kOther, sizeof kOther - 1);
    else if ((choices & kHttpAlpn) != 0)
        SSL_set_alpn_protos(ssl.get(), kHttp, sizeof kHttp - 1);
    return ssl;
}

// Bytes that show their place in the stream.
std::string pattern(size_t from, size_t len)
{
    std::string bytes;
    for (size_t i = from; i < from + len; ++i)
        bytes += static_cast<char>(i % 251);
    return bytes;
}

class Pair
{
  public:
    explicit Pair(uint8_t choices)
        : session_(server_config().context()), client_(make_client(choices)),
          hopeless_((choices & kOtherAlpn) != 0)
    {
    }

    void step(Input &input);
    void finish();

  private:
    // The client.
    void client_runs();
    void client_writes(size_t len);
    std::string client_output();

    // The wire.
    void deliver(std::string bytes);
    void return_output();

    // The server.
    void server_runs();
    TlsSession::Step server_reads();
    void server_writes(size_t len);
    void check_failed();

    TlsSession session_;
    websock::OwnedSsl client_;
    bool hopeless_; // the client asks for something it cannot get
    bool tampered_ = false;
    bool established_ = false;
    TlsSession::Step state_ = TlsSession::Step::starved; // of the server's reading
    bool server_closed_ = false;
    bool client_closed_ = false;
    bool client_failed_ = false;
    size_t room_ = 4096; // for one read of the server's
    std::string server_got_, client_got_;
    size_t server_wrote_ = 0, client_wrote_ = 0;
};

void Pair::client_runs()
{
    char block[4096];
    int n = 0;
    ERR_clear_error();
    while ((n = SSL_read(client_.get(), block, sizeof block)) > 0)
        client_got_.append(block, static_cast<size_t>(n));
    const int error = SSL_get_error(client_.get(), n);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_ZERO_RETURN)
        return;
    require(tampered_ || hopeless_, "the client does not understand the server");
    client_failed_ = true;
}

void Pair::client_writes(size_t len)
{
    const std::string bytes = pattern(client_wrote_, len);
    size_t n = 0;
    ERR_clear_error();
    if (len > 0 && SSL_is_init_finished(client_.get()) && !client_closed_ && !client_failed_ &&
        SSL_write_ex(client_.get(), bytes.data(), bytes.size(), &n) == 1)
        client_wrote_ += n;
}

std::string Pair::client_output()
{
    char *bytes = nullptr;
    BIO *wire = SSL_get_wbio(client_.get());
    const long len = BIO_get_mem_data(wire, &bytes);
    std::string output(bytes, static_cast<size_t>(len));
    (void)BIO_reset(wire);
    return output;
}

TlsSession::Step Pair::server_reads()
{
    Exact block(room_);
    size_t n = SIZE_MAX;
    const TlsSession::Step step = session_.read(block.span(), n);
    require(n <= room_ && (n == 0 || step == TlsSession::Step::done), "a read beyond its room");
    server_got_ += text_of(block.span().first(n));
    return step;
}

void Pair::deliver(std::string bytes)
{
    if (state_ != TlsSession::Step::starved)
        return; // nobody reads any more
    Exact memory(bytes_of(bytes));
    session_.feed(memory.span());
    // Each step uses up some of the input or takes something out.
    size_t patience = 64 + 2 * bytes.size();
    do {
        require(patience-- > 0, "the session makes no progress");
        state_ = established_ ? server_reads() : session_.accept();
        if (!established_ && state_ == TlsSession::Step::done)
            established_ = true;
    } while (state_ == TlsSession::Step::done);
    require(state_ != TlsSession::Step::starved || !session_.has_input(), "starved, with input");
    if (state_ == TlsSession::Step::failed)
        check_failed();
    session_.feed({});
}

void Pair::check_failed()
{
    require(tampered_ || hopeless_, "the server does not understand the client");
    require(!session_.why().empty(), "failed without a reason");
    uint8_t byte = 0;
    size_t n = 1;
    require(session_.read({&byte, 1}, n) == TlsSession::Step::failed && n == 0,
            "a failed session can be read");
    require(session_.write({&byte, 1}, n) == TlsSession::Step::failed && n == 0,
            "a failed session can be written to");
    require(session_.accept() == TlsSession::Step::failed, "a failed session can be accepted");
}

void Pair::server_writes(size_t len)
{
    if (!established_ || server_closed_ || state_ == TlsSession::Step::failed || len == 0)
        return;
    const std::string bytes = pattern(server_wrote_, len);
    Exact memory(bytes_of(bytes));
    size_t n = SIZE_MAX;
    const TlsSession::Step step = session_.write(memory.span(), n);
    require(n <= len && (n > 0) == (step == TlsSession::Step::done), "a write beyond its bytes");
    require(step != TlsSession::Step::failed || tampered_, "a write fails");
    server_wrote_ += n;
    if (step == TlsSession::Step::failed)
        state_ = step;
}

void Pair::return_output()
{
    std::vector<uint8_t> output;
    session_.take_output(output);
    require(!session_.has_output() && session_.answer_bytes() == 0, "output is left behind");
    if (!output.empty())
        BIO_write(SSL_get_rbio(client_.get()), output.data(), static_cast<int>(output.size()));
    if (!client_failed_)
        client_runs();
}

void Pair::step(Input &input)
{
    switch (input.byte() % 12) {
    case 0:
        return client_runs();
    case 1:
        return deliver(client_output());
    case 2: { // in two pieces
        const std::string bytes = client_output();
        const size_t cut = std::min<size_t>(input.byte(), bytes.size());
        deliver(bytes.substr(0, cut));
        return deliver(bytes.substr(cut));
    }
    case 3: { // changed
        std::string bytes = client_output();
        const size_t at = input.byte();
        const uint8_t change = input.byte();
        if (at < bytes.size() && change != 0) {
            bytes[at] = static_cast<char>(bytes[at] ^ change);
            tampered_ = true;
        }
        return deliver(bytes);
    }
    case 4: { // cut off, or made up
        const std::string bytes = client_output();
        const size_t cut = std::min<size_t>(input.byte(), bytes.size());
        const std::string made_up = text_of(input.take(input.byte()));
        tampered_ = tampered_ || cut < bytes.size() || !made_up.empty();
        return deliver(bytes.substr(0, cut) + made_up);
    }
    case 5:
        return client_writes(64u * input.byte());
    case 6:
        if (SSL_is_init_finished(client_.get()) && SSL_version(client_.get()) == TLS1_3_VERSION &&
            !client_closed_ && !client_failed_)
            (void)SSL_key_update(client_.get(), input.byte() % 2 == 0
                                                    ? SSL_KEY_UPDATE_REQUESTED
                                                    : SSL_KEY_UPDATE_NOT_REQUESTED);
        return client_writes(1); // which makes it leave
    case 7:
        if (SSL_is_init_finished(client_.get()) && !client_failed_) {
            (void)SSL_shutdown(client_.get());
            client_closed_ = true;
        }
        return;
    case 8:
        return server_writes(64u * input.byte());
    case 9:
        if (established_)
            session_.close();
        server_closed_ = server_closed_ || established_;
        return;
    case 10:
        return return_output();
    case 11:
        room_ = 1 + 16u * input.byte();
        return;
    }
}

// Delivers everything under way, and compares.
void Pair::finish()
{
    for (int round = 0; round < 4; ++round) {
        if (!client_failed_)
            client_runs();
        deliver(client_output());
        return_output();
    }
    require(pattern(0, client_wrote_).starts_with(server_got_), "the server reads different bytes");
    require(pattern(0, server_wrote_).starts_with(client_got_), "the client reads different bytes");
    if (tampered_)
        return;
    require(established_ == !hopeless_, "the handshake ends wrongly");
    require(server_got_.size() == client_wrote_, "the server does not read everything");
    require(client_got_.size() == server_wrote_, "the client does not read everything");
    require((state_ == TlsSession::Step::closed) == client_closed_, "the end is missed");
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input(data, size);
    Pair pair(input.byte());
    for (size_t steps = 0; steps < kMostSteps && !input.rest().empty(); ++steps)
        pair.step(input);
    pair.finish();
    return 0;
}
