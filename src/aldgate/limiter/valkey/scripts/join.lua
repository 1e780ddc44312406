-- Registers a process under a new name, with the calls it has under way. KEYS: registry, then concurrency keys.
-- ARGV: name, the name it had before or nothing, milliseconds after which one lapses, milliseconds of grace, then the calls under
-- way by key. If it was registered, is not any more (or has lapsed), and nobody else is alive, then Valkey was emptied or away, and
-- other processes will come back likewise: until they had time to, nobody knows how many calls are under way.
local me, before, lapse, grace = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local processes, until_ms = registered()
local had_lapsed = before ~= '' and (not processes[before] or NOW - processes[before] > lapse)
redis.call('HDEL', REGISTRY, before)
processes[before] = nil
reap(processes, lapse)
if had_lapsed and not next(processes) and until_ms <= NOW then
  redis.call('HSET', REGISTRY, 'grace', NOW + grace)
end
redis.call('HSET', REGISTRY, me, NOW)
for i = 2, #KEYS do
  redis.call('HSET', KEYS[i], me, ARGV[i + 3])
  redis.call('PEXPIRE', KEYS[i], 604800000)
end
return 1
