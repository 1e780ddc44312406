-- A process ends. KEYS: registry. ARGV: process.
return redis.call('HDEL', KEYS[1], ARGV[1])
