-- Ends a call: its places among calls under way come back, and so do units that it did not use, as far as they have not drained.
-- KEYS, ARGV[1] and ARGV[2] as of take.lua; ARGV[3]: what it gave, without the verdict; ARGV[4]: units used, of each claim.
local me, claims, states, uses = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local at_claim, at_state, at_use = 1, 1, 1

local function give_back(b, place_w, place_f, held, used, period)
  -- From where the place now stands in what is left, fully drained parts being below zero.
  local w, f = place_w - b.d, place_f - b.e
  if f < 0 then w, f = w - 1, f + period end
  local from_w, from_f, to_w, to_f = 0, 0, 0, 0
  if w + used >= 0 then from_w, from_f = w + used, f end
  if w + held >= 0 then to_w, to_f = w + held, f end
  drain(b, to_w - from_w, to_f - from_f, period)
end

for i = 2, #KEYS do
  local key, period, limit, held, used, place_w, place_f, g, _ = KEYS[i]
  period, limit, held, at_claim = struct.unpack('<ddd', claims, at_claim)
  _, _, place_w, place_f, g, at_state = struct.unpack('<ddddd', states, at_state)
  used, at_use = struct.unpack('<d', uses, at_use)
  if period == 0 then
    local count = tonumber(redis.call('HGET', key, me) or 0)
    if count > held then
      redis.call('HINCRBY', key, me, -held)
    else
      redis.call('HDEL', key, me)
    end
  elseif used ~= held then
    local b = unpacked(redis.call('GET', key))
    if used > held then
      spend(b, used - held)
      save(key, b, limit, period)
    elseif b.g == g then
      give_back(b, place_w, place_f, held, used, period)
      save(key, b, limit, period)
    end
  end
end
return 1
