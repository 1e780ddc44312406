-- Who is alive. The registry holds the last heartbeat of each process; the field `grace` says until when nobody can know how
-- many calls are under way. A concurrency key holds, by process, how many calls it has under way; only those of registered
-- processes count.
local REGISTRY = KEYS[1]

local function registered()
  local found = redis.call('HGETALL', REGISTRY)
  local processes, grace = {}, 0
  for i = 1, #found, 2 do
    if found[i] == 'grace' then grace = tonumber(found[i + 1]) else processes[found[i]] = tonumber(found[i + 1]) end
  end
  return processes, grace
end

local function reap(processes, lapse)
  for name, beat in pairs(processes) do
    if NOW - beat > lapse then
      redis.call('HDEL', REGISTRY, name)
      processes[name] = nil
    end
  end
end

local function in_flight(key, processes)
  local counts = redis.call('HGETALL', key)
  local all = 0
  for i = 1, #counts, 2 do
    if processes[counts[i]] then all = all + counts[i + 1] else redis.call('HDEL', key, counts[i]) end
  end
  return all
end
