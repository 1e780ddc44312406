-- How each claim's limit stands. KEYS as of take.lua; ARGV[1]: claims as there. Gives two doubles of each: level w, f; or calls
-- under way and 0. Writes nothing but the end of counts of lost processes.
local processes = registered()
local out, position = {}, 1
for i = 2, #KEYS do
  local period, limit, _
  period, limit, _, position = struct.unpack('<ddd', ARGV[1], position)
  if period == 0 then
    out[#out + 1] = in_flight(KEYS[i], processes)
    out[#out + 1] = 0
  else
    local b = unpacked(redis.call('GET', KEYS[i]))
    leak(b, limit, period)
    out[#out + 1] = b.w
    out[#out + 1] = b.f
  end
end
return struct.pack('<' .. string.rep('d', #out), unpack(out))
