-- A process ends. KEYS: registry. ARGV: process.
return redis.call('HDEL', REGISTRY, ARGV[1], '?' .. ARGV[1])
