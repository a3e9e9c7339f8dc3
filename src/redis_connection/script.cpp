// script.cpp: see script.h. Both scripts read first and check all that can be refused with the
// first write, so that one that fails leaves nothing behind.
#include "redis_connection/script.h"

#include "redis_connection/packet.h"

#include <algorithm>

namespace websock::redis {

namespace {

// The state of a log is one field, packed, since reading and writing seven of them took a third of
// the time. trim() takes the oldest messages out, and with them their keys, until the limits hold
// or only as many as keep are left.
constexpr std::string_view kShared = R"lua(
local layout = '<c16dddddd'
local hash, stream = KEYS[1], KEYS[2]
local function server_ms()
  local now = redis.call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000)
end
local function trim(log, most, bytes, born, keep)
  local done = false
  while log.n > keep and not done do
    local page = redis.call('XRANGE', stream, '-', '+', 'COUNT', 64)
    local gone, keys = {}, {}
    if #page == 0 then
      log.n, log.b, done = 0, 0, true
    end
    for _, entry in ipairs(page) do
      local offset, ms = string.match(entry[1], '^(%d+)-(%d+)$')
      log.a = tonumber(ms)
      if log.n <= keep or not (log.n > most or log.b > bytes or log.a < born) then
        done = true
        break
      end
      gone[#gone + 1] = entry[1]
      log.n, log.b, log.t = log.n - 1, log.b - #(entry[2][2] or ''), tonumber(offset)
      if entry[2][3] == 'k' and entry[2][4] then keys[#keys + 1] = 'k:' .. entry[2][4] end
    end
    if #gone > 0 then redis.call('XDEL', stream, unpack(gone)) end
    if #keys > 0 then redis.call('HDEL', hash, unpack(keys)) end
  end
end
)lua";

// Limits may be exceeded by an eighth, so that messages leave in bulk.
//
// All that is written is absolute, and of two messages with one offset the second counts. For a
// server that is killed while it writes its append-only file may leave half a transaction there,
// start without it, and carry it out at the start after that (seen with Redis 7.0.15).
constexpr std::string_view kPublish = R"lua(
local node, sequence, before = KEYS[3], tonumber(ARGV[1]), ARGV[2]
local last = tonumber(redis.call('GET', node) or 0)
if last >= sequence then return 0 end
if before ~= '' and last ~= tonumber(before) then return -1 end
local key, packet = ARGV[10], ARGV[11]
local age, keep = tonumber(ARGV[7]), tonumber(ARGV[8])
local state, replaced
if key == '' then
  state = redis.call('HGET', hash, 's')
else
  local fields = redis.call('HMGET', hash, 's', 'k:' .. key)
  state, replaced = fields[1], fields[2]
end
local now = age > 0 and server_ms() or tonumber(ARGV[9])
local epoch, offset, expires
local log = {}
local function begin()
  epoch, offset, expires, replaced = ARGV[3], 0, 0, false
  log.t, log.n, log.b, log.a = 0, 0, 0, now
end
if state then
  epoch, offset, log.t, log.n, log.b, log.a, expires = struct.unpack(layout, state)
else
  begin()
  if redis.call('EXISTS', stream) == 1 then redis.call('DEL', stream) end
end
local id
local function add()
  offset = offset + 1
  id = offset .. '-' .. now
  if key == '' then return redis.pcall('XADD', stream, id, 'm', packet) end
  return redis.pcall('XADD', stream, id, 'm', packet, 'k', key)
end
local added = add()
if type(added) == 'table' and string.find(added.err or '', 'equal or smaller', 1, true) then
  redis.call('DEL', hash, stream)
  begin()
  added = add()
end
if type(added) == 'table' then return added end
log.n, log.b = log.n + 1, log.b + #packet
if replaced then
  local old, size = string.match(replaced, '^(%S+) (%d+)$')
  if old and redis.call('XDEL', stream, old) == 1 then
    log.n, log.b = log.n - 1, log.b - tonumber(size)
  end
end
local most, bytes, born = tonumber(ARGV[5]), tonumber(ARGV[6]), age > 0 and now - age or 0
if log.n > most + math.floor(most / 8) or log.b > bytes + math.floor(bytes / 8)
    or log.a < born - math.floor(age / 8) then
  trim(log, most, bytes, born, 1)
end
local due = expires < now + keep / 2
if due then expires = now + keep end
state = struct.pack(layout, epoch, offset, log.t, log.n, log.b, log.a, expires)
if key == '' then
  redis.call('HSET', hash, 's', state)
else
  redis.call('HSET', hash, 's', state, 'k:' .. key, id .. ' ' .. #packet)
end
if due then
  redis.call('PEXPIRE', hash, keep)
  redis.call('PEXPIRE', stream, keep)
end
local text = string.format('%016.0f', sequence)
if last == 0 or sequence % 1000 == 0 then
  redis.call('SET', node, text, 'EX', 86400)
else
  redis.call('SETRANGE', node, 0, text)
end
redis.call('PUBLISH', ARGV[4], epoch .. string.format('%016x', offset) .. packet)
return 1
)lua";

// In the packet, bytes 3 to 18 are the origin. A page is bounded in messages and bytes.
constexpr std::string_view kFetch = R"lua(
local known, last, origin, past = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[7]
local age, keep = tonumber(ARGV[5]), tonumber(ARGV[6])
local most, most_bytes = 500, 1048576
local now = server_ms()
local state = redis.call('HGET', hash, 's')
local epoch, offset, expires, lost
local log = {}
if state then
  epoch, offset, log.t, log.n, log.b, log.a, expires = struct.unpack(layout, state)
  if string.find(past, epoch, 1, true) then
    lost = true
  elseif epoch == known and last > 0 then
    if offset < last then
      lost = true
    elseif last > log.t and origin ~= '' then
      local entry = redis.call('XREVRANGE', stream, last, last, 'COUNT', 1)[1]
      lost = entry and string.sub(entry[2][2] or '', 3, 18) ~= origin
    end
  end
end
local changed = lost or not state
if changed then
  if redis.call('EXISTS', hash, stream) > 0 then redis.call('DEL', hash, stream) end
  epoch, offset, expires = ARGV[1], 0, 0
  log = {t = 0, n = 0, b = 0, a = now}
elseif age > 0 and log.n > 0 and log.a < now - age then
  trim(log, math.huge, math.huge, now - age, 0)
  changed = true
end
if changed or expires < now + keep / 2 then
  expires = now + keep
  state = struct.pack(layout, epoch, offset, log.t, log.n, log.b, log.a, expires)
  redis.call('HSET', hash, 's', state)
  redis.call('PEXPIRE', hash, keep)
  redis.call('PEXPIRE', stream, keep)
end
local count = most
if log.n > 0 then
  count = math.max(1, math.min(most, math.floor(most_bytes / (log.b / log.n + 1))))
end
local from = epoch == known and last + 1 or 1
local entries = redis.call('XRANGE', stream, from, '+', 'COUNT', count)
local function whole(number) return string.format('%.0f', number) end
local answer = {epoch, whole(offset), whole(log.t), #entries == count and 1 or 0}
local bytes = 0
for _, entry in ipairs(entries) do
  if bytes > most_bytes then
    answer[4] = 1
    break
  end
  answer[#answer + 1] = entry[1]
  answer[#answer + 1] = entry[2][2] or ''
  bytes = bytes + #(entry[2][2] or '')
end
if answer[4] == 1 then
  local offset = string.match(answer[#answer - 1], '^%d+')
  local second = redis.call('XREVRANGE', stream, offset, offset, 'COUNT', 1)[1]
  answer[#answer - 1], answer[#answer] = second[1], second[2][2] or ''
end
return answer
)lua";

constexpr int64_t kDayMs = 24 * 60 * 60 * 1000;

std::string joined(std::string_view prefix, std::string_view kind, std::string_view name)
{
    std::string key;
    key.reserve(prefix.size() + kind.size() + name.size());
    return key.append(prefix).append(kind).append(name);
}

} // namespace

std::string publish_script() { return joined(kShared, kPublish, ""); }
std::string fetch_script() { return joined(kShared, kFetch, ""); }

int64_t keep_ms(const Limits &limits) { return std::max<int64_t>(limits.age_ms, kDayMs); }

std::string hash_key(std::string_view prefix, std::string_view topic)
{
    return joined(prefix, "h:", topic);
}

std::string stream_key(std::string_view prefix, std::string_view topic)
{
    return joined(prefix, "s:", topic);
}

std::string channel_prefix(std::string_view prefix, int database)
{
    return joined(prefix, "c", std::to_string(database) + ":");
}

std::string node_key(std::string_view prefix, uint64_t node)
{
    return joined(prefix, "n:", epoch_text(node));
}

} // namespace websock::redis
