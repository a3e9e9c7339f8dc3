// publication.h: what the functions that take a libwebsock_publication demand of it.
#pragma once

#include "api/checked.h"
#include "api/sized.h"
#include "base/utf8.h"
#include "connection/connection.h"
#include "topics/topics.h"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <websock/websock.h>

namespace websock {

inline constexpr size_t kMostId = 63; // bytes, of a key too

// False: it is too long.
inline bool read_id(const char *text, std::string_view &id)
{
    id = text ? std::string_view(text, strnlen(text, kMostId + 1)) : std::string_view();
    return id.size() <= kMostId;
}

// 0, EINVAL or EILSEQ. What is read are views of what is given.
inline int read_publication(const libwebsock_publication *given, std::string_view &topic,
                            Message::Content &content)
{
    libwebsock_publication what{};
    if (!given || !copy_sized(given, offsetof(libwebsock_publication, flags), what))
        return EINVAL;
    const unsigned opcode = what.opcode == 0 ? WS_OPCODE_TEXT : what.opcode;
    if (!what.topic || !Topics::is_name(what.topic) || !is_memory(what.payload, what.payload_len) ||
        (opcode != WS_OPCODE_TEXT && opcode != WS_OPCODE_BINARY) || !read_id(what.id, content.id) ||
        !read_id(what.key, content.key) || (what.flags & ~LIBWEBSOCK_UNCOMPRESSED) != 0)
        return EINVAL;
    topic = what.topic;
    content.opcode = static_cast<Opcode>(opcode);
    content.payload = bytes_of(what.payload, what.payload_len);
    content.uncompressed = what.flags != 0;
    content.publisher = what.publisher ? Connection::of(what.publisher)->number() : 0;
    if (content.opcode == Opcode::text && !is_valid_utf8(content.payload))
        return EILSEQ;
    return 0;
}

} // namespace websock
