-- Checks every claim, then spends every claim; a refused call writes nothing.
-- KEYS: registry, then one of each claim. ARGV: process, 1 to pass over concurrency limits, claims as (period ms or 0, limit, units).
-- Gives doubles: 1 taken, 0 refused, -1 this process is not registered, -2 nobody knows how many calls are under way;
-- then five of each claim: level w, f, place w, f, g; or calls under way and zeros.
local me, is_lenient, claims = ARGV[1], ARGV[2] == '1', ARGV[3]
local found, verdict, position, processes, grace = {}, 1, 1, nil, nil

for i = 2, #KEYS do
  local claim = {key = KEYS[i]}
  claim.period, claim.limit, claim.units, position = struct.unpack('<ddd', claims, position)
  if claim.period == 0 then
    if not processes then
      processes, grace = registered()
      if not processes[me] then return struct.pack('<d', -1) end
      if NOW < grace and not is_lenient then return struct.pack('<d', -2) end
    end
    claim.count = in_flight(claim.key, processes)
    if claim.count + claim.units > claim.limit and not is_lenient then verdict = 0 end
  else
    local b = unpacked(redis.call('GET', claim.key))
    leak(b, claim.limit, claim.period)
    local over = b.w + math.min(claim.units, claim.limit) - claim.limit
    if over > 0 or (over == 0 and b.f > 0) then verdict = 0 end
    claim.bucket = b
  end
  found[i - 1] = claim
end

local out = {verdict}
for i, claim in ipairs(found) do
  local b, n = claim.bucket, i * 5 - 3
  local w, f, g = 0, 0, 0
  if b then
    w, f, g = b.d + b.w, b.e + b.f, b.g
    if f >= claim.period then w, f = w + 1, f - claim.period end
  end
  if verdict == 1 and b then
    spend(b, claim.units)
    save(claim.key, b, claim.limit, claim.period)
  elseif verdict == 1 then
    claim.count = claim.count + claim.units
    redis.call('HINCRBY', claim.key, me, claim.units)
    redis.call('PEXPIRE', claim.key, 604800000) -- else a lost process's count would stay with an account that calls no more
  end
  out[n], out[n + 1], out[n + 2], out[n + 3], out[n + 4] = b and b.w or claim.count, b and b.f or 0, w, f, g
end
return struct.pack('<' .. string.rep('d', #out), unpack(out))
