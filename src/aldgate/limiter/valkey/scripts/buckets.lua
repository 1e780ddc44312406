-- Leaking buckets as in core/limits.py, for numbers that are exact to 2^53 only: where a level is counted there in units x
-- period, here it is whole units and a remainder in units / period (milliseconds), so a limit of 10^12 a day is exact too.
--   w, f  the level            d, e  all that ever drained (w + f/period, d + e/period)
--   at    milliseconds at which the level stood so
--   g     when the bucket was made, in microseconds: a place in one that is gone means nothing in the next
local MOST = 2^50
local LONGEST_MS = 10 * 365 * 86400000
local TIME = redis.call('TIME')
local NOW = TIME[1] * 1000 + math.floor(TIME[2] / 1000)
local BORN = TIME[1] * 1000000 + TIME[2]

local function unpacked(raw)
  if not raw then return {w = 0, f = 0, d = 0, e = 0, at = NOW, g = BORN} end
  local w, f, d, e, at, g = struct.unpack('<dddddd', raw)
  return {w = w, f = f, d = d, e = e, at = at, g = g}
end

local function save(key, b, limit, period)
  -- One period longer than it takes to drain; an absent bucket is an empty one.
  local life = math.min(LONGEST_MS, math.ceil((b.w + 1) * period / limit) + period)
  redis.call('SET', key, struct.pack('<dddddd', b.w, b.f, b.d, b.e, b.at, b.g), 'PX', life)
end

local function drain(b, w, f, period)
  if w > b.w or (w == b.w and f > b.f) then w, f = b.w, b.f end
  b.w, b.f = b.w - w, b.f - f
  if b.f < 0 then b.w, b.f = b.w - 1, b.f + period end
  b.d, b.e = b.d + w, b.e + f
  if b.e >= period then b.d, b.e = b.d + 1, b.e - period end
  if b.d > MOST then b.d, b.e, b.g = 0, 0, BORN end -- what is held now is then not given back: too little, never too much
end

local function leak(b, limit, period)
  local elapsed = NOW - b.at
  if elapsed <= 0 then return end -- a clock that steps back leaks nothing
  local periods = math.floor(elapsed / period)
  local rest = elapsed - periods * period
  local each = math.floor(limit / period)
  local part = rest * (limit - each * period) -- below period squared, which is below 2^53 up to a day
  local units = math.floor(part / period)
  drain(b, periods * limit + rest * each + units, part - units * period, period)
  b.at = NOW
end

local function spend(b, units)
  b.w = math.min(MOST, b.w + units)
end
