// script.cpp: see script.h. Both scripts read first and check all that can be refused with the
// first write, so that one that fails leaves nothing behind.
#include "redis/script.h"

#include "redis/packet.h"

#include <algorithm>

namespace websock::redis {

namespace {

// trim() takes the oldest messages out, and with them their keys, until the limits hold or only as
// many as keep are left.
constexpr std::string_view kTrim = R"lua(
local function whole(number) return string.format('%.0f', number) end
local function now_ms()
  local now = redis.call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000)
end
local function trim(hash, stream, log, most, bytes, born, keep)
  while log.n > keep do
    local page = redis.call('XRANGE', stream, '-', '+', 'COUNT', 64)
    local gone, keys, done = {}, {}, #page == 0
    if done then log.n, log.b = 0, 0 end
    for _, entry in ipairs(page) do
      local offset, ms = string.match(entry[1], '^(%d+)-(%d+)$')
      log.a = tonumber(ms)
      if log.n <= keep or not (log.n > most or log.b > bytes or log.a < born) then
        done = true
        break
      end
      gone[#gone + 1] = entry[1]
      log.n = log.n - 1
      log.b = log.b - #(entry[2][2] or '')
      log.t = tonumber(offset)
      if entry[2][3] == 'k' and entry[2][4] then keys[#keys + 1] = 'k:' .. entry[2][4] end
    end
    if #gone > 0 then redis.call('XDEL', stream, unpack(gone)) end
    if #keys > 0 then redis.call('HDEL', hash, unpack(keys)) end
    if done then break end
  end
end
)lua";

constexpr std::string_view kPublish = R"lua(
local hash, stream = KEYS[1], KEYS[2]
local last = tonumber(redis.call('GET', KEYS[3]) or 0)
local sequence, before = tonumber(ARGV[1]), ARGV[2]
if last >= sequence then return 0 end
if before ~= '' and last ~= tonumber(before) then return -1 end
local most, bytes, age, keep = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local key, packet = ARGV[9], ARGV[10]
local f = redis.call('HMGET', hash, 'e', 'o', 't', 'n', 'b', 'a', 'x', 'k:' .. key)
local now = now_ms()
local epoch, offset, expires, replaced = f[1], tonumber(f[2] or 0), tonumber(f[7] or 0), f[8]
local log = {t = tonumber(f[3] or 0), n = tonumber(f[4] or 0), b = tonumber(f[5] or 0),
             a = tonumber(f[6] or now)}
local function begin()
  epoch, offset, expires, replaced = ARGV[3], 0, 0, false
  log = {t = 0, n = 0, b = 0, a = now}
end
local function add()
  offset = offset + 1
  local id = whole(offset) .. '-' .. whole(now)
  if key == '' then return id, redis.pcall('XADD', stream, id, 'm', packet) end
  return id, redis.pcall('XADD', stream, id, 'm', packet, 'k', key)
end
if not epoch then
  begin()
  if redis.call('EXISTS', stream) == 1 then redis.call('DEL', stream) end
end
local id, added = add()
if type(added) == 'table' and added.err and string.find(added.err, 'equal or smaller', 1, true) then
  redis.call('DEL', hash, stream)
  begin()
  id, added = add()
end
if type(added) == 'table' and added.err then return added end
log.n, log.b = log.n + 1, log.b + #packet
if key ~= '' and replaced then
  local old, size = string.match(replaced, '^(%S+) (%d+)$')
  if old and redis.call('XDEL', stream, old) == 1 then
    log.n, log.b = log.n - 1, log.b - tonumber(size)
  end
end
local born = age > 0 and now - age or 0
if log.n > most + math.floor(most / 8) or log.b > bytes + math.floor(bytes / 8)
    or log.a < born - math.floor(age / 8) then
  trim(hash, stream, log, most, bytes, born, 1)
end
local due = expires < now + keep / 2
if due then expires = now + keep end
if key == '' then
  redis.call('HSET', hash, 'e', epoch, 'o', whole(offset), 't', whole(log.t), 'n', log.n, 'b', log.b,
             'a', whole(log.a), 'x', whole(expires))
else
  redis.call('HSET', hash, 'e', epoch, 'o', whole(offset), 't', whole(log.t), 'n', log.n, 'b', log.b,
             'a', whole(log.a), 'x', whole(expires), 'k:' .. key, id .. ' ' .. #packet)
end
if due then
  redis.call('PEXPIRE', hash, keep)
  redis.call('PEXPIRE', stream, keep)
end
redis.call('SET', KEYS[3], ARGV[1], 'EX', 86400)
redis.call('PUBLISH', ARGV[4], epoch .. string.format('%016x', offset) .. packet)
return 1
)lua";

// In the packet, bytes 3 to 18 are the origin. A page is bounded in messages and bytes.
constexpr std::string_view kFetch = R"lua(
local hash, stream = KEYS[1], KEYS[2]
local known, last, origin = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local age, keep = tonumber(ARGV[5]), tonumber(ARGV[6])
local most, most_bytes = 500, 1048576
local f = redis.call('HMGET', hash, 'e', 'o', 't', 'n', 'b', 'a', 'x')
local now = now_ms()
local epoch, offset, expires = f[1], tonumber(f[2] or 0), tonumber(f[7] or 0)
local log = {t = tonumber(f[3] or 0), n = tonumber(f[4] or 0), b = tonumber(f[5] or 0),
             a = tonumber(f[6] or now)}
local lost = not epoch
if epoch and epoch == known and last > 0 then
  if offset < last then
    lost = true
  elseif last > log.t and origin ~= '' then
    local entry = redis.call('XRANGE', stream, whole(last), whole(last), 'COUNT', 1)[1]
    lost = entry and string.sub(entry[2][2] or '', 3, 18) ~= origin
  end
end
if lost then
  if redis.call('EXISTS', hash, stream) > 0 then redis.call('DEL', hash, stream) end
  epoch, offset, expires = ARGV[1], 0, 0
  log = {t = 0, n = 0, b = 0, a = now}
elseif age > 0 and log.a < now - age then
  trim(hash, stream, log, math.huge, math.huge, now - age, 0)
  if log.n == 0 then log.a = now end
end
if lost or expires < now + keep / 2 then
  redis.call('HSET', hash, 'e', epoch, 'o', whole(offset), 't', whole(log.t), 'n', log.n, 'b', log.b,
             'a', whole(log.a), 'x', whole(now + keep))
  redis.call('PEXPIRE', hash, keep)
  redis.call('PEXPIRE', stream, keep)
elseif age > 0 then
  redis.call('HSET', hash, 't', whole(log.t), 'n', log.n, 'b', log.b, 'a', whole(log.a))
end
local from = epoch == known and last + 1 or 1
local count = most
if log.n > 0 then
  count = math.max(1, math.min(most, math.floor(most_bytes / (log.b / log.n + 1))))
end
local answer = {epoch, whole(offset), whole(log.t), 0}
local bytes = 0
local entries = redis.call('XRANGE', stream, whole(from), '+', 'COUNT', count)
for _, entry in ipairs(entries) do
  if bytes > most_bytes then
    answer[4] = 1
    break
  end
  answer[#answer + 1] = entry[1]
  answer[#answer + 1] = entry[2][2] or ''
  bytes = bytes + #(entry[2][2] or '')
end
if #entries == count then answer[4] = 1 end
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

std::string publish_script() { return joined(kTrim, kPublish, ""); }
std::string fetch_script() { return joined(kTrim, kFetch, ""); }

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
