-- Registers a process under a new name, with the calls it has under way. KEYS: registry, then concurrency keys.
-- ARGV: name, the name it had before or nothing, milliseconds of grace, then the calls under way by key. If nobody is registered,
-- itself included, then Valkey was emptied, and other processes will come back likewise: until they had time to, nobody knows how
-- many calls are under way.
local me, before = ARGV[1], ARGV[2]
local processes, grace = registered()
if before ~= '' and not next(processes) and grace <= NOW then
  redis.call('HSET', REGISTRY, 'grace', NOW + ARGV[3])
end
redis.call('HDEL', REGISTRY, before, '?' .. before)
redis.call('HSET', REGISTRY, me, NOW)
for i = 2, #KEYS do
  redis.call('HSET', KEYS[i], me, ARGV[i + 2])
  redis.call('PEXPIRE', KEYS[i], 604800000)
end
return 1
