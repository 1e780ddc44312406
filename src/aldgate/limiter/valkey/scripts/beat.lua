-- A process lives on, and those whose heartbeat lapsed do not. KEYS: registry. ARGV: process, milliseconds after which one lapses.
-- Gives 1, or 0 if the process is not registered (any more).
local me, lapse = ARGV[1], tonumber(ARGV[2])
local processes = registered()
if not processes[me] then return 0 end
redis.call('HSET', REGISTRY, me, NOW)
processes[me] = NOW
reap(processes, lapse)
return 1
