-- Who is alive. The registry holds the last heartbeat of each process; `?NAME` says since when one is missed; `grace` until when
-- nobody can know how many calls are under way. A concurrency key holds, by process, how many calls it has under way; only those
-- of registered processes count.
local REGISTRY = KEYS[1]

local function registered()
  local found = redis.call('HGETALL', REGISTRY)
  local processes, missed, grace = {}, {}, 0
  for i = 1, #found, 2 do
    local name, value = found[i], tonumber(found[i + 1])
    if name == 'grace' then
      grace = value
    elseif name:sub(1, 1) == '?' then
      missed[name:sub(2)] = value
    else
      processes[name] = value
    end
  end
  return processes, grace, missed
end

-- One whose heartbeat lapsed is missed first and gone later: after a clock that stepped forward, or a server that stood still, all
-- seem to have lapsed, and the living have until then to say that they are.
local function reap(processes, missed, lapse, patience)
  for name, beat in pairs(processes) do
    local since = missed[name]
    if NOW - beat <= lapse then
      if since then redis.call('HDEL', REGISTRY, '?' .. name) end
    elseif not since or since > NOW then
      redis.call('HSET', REGISTRY, '?' .. name, NOW)
    elseif NOW - since > patience then
      redis.call('HDEL', REGISTRY, name, '?' .. name)
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
