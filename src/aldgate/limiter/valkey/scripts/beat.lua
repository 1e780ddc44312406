-- A process lives on, and those that do not are missed. KEYS: registry. ARGV: process, milliseconds without a heartbeat after which
-- one is missed, and for which one is missed before it is gone. Gives 1, or 0 if the process is not registered (any more).
local me = ARGV[1]
local processes, _, missed = registered()
if not processes[me] then return 0 end
redis.call('HSET', REGISTRY, me, NOW)
processes[me] = NOW
reap(processes, missed, tonumber(ARGV[2]), tonumber(ARGV[3]))
return 1
