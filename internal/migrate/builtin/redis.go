package builtin

import (
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/migrate/framework"
)

// redisConnection are the keys of the connection of all redis triggers:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/redis_scaler.go#L48
func redisConnection() []Key {
	return []Key{
		{Name: "address", From: "MAE", Becomes: "`addresses`"},
		{Name: "addresses", From: "MAE", Becomes: "`addresses`; of several, those after the first do not count without Sentinel and Cluster"},
		{Name: "host", From: "MEA", Becomes: "`addresses`, with `port`"},
		{Name: "hosts", From: "MEA", Becomes: "`addresses`, with `ports`"},
		{Name: "port", From: "MEA", Becomes: "`addresses`, with `host`"},
		{Name: "ports", From: "MEA", Becomes: "`addresses`, with `hosts`"},
		{Name: "username", From: "MEA", Becomes: "`username`"},
		{Name: "password", From: "MEA", Becomes: "`password`, as a reference"},
		{Name: "sentinelUsername", From: "MAE", Becomes: "`sentinelUsername`"},
		{Name: "sentinelPassword", From: "MAE", Becomes: "`sentinelPassword`, as a reference"},
		{Name: "sentinelMaster", From: "MAE", Becomes: "`masterName`"},
		{Name: "enableTLS", From: "M", Becomes: "`tls`"},
		{Name: "tls", From: "A", Becomes: "`tls`; where it is in a Secret it has to be filled in"},
		{Name: "unsafeSsl", From: "M", Becomes: "`tlsInsecureSkipVerify`"},
		{Name: "Cert", From: "A", Becomes: "`tlsCertFile`"},
		{Name: "cert", From: "A", Becomes: "`tlsCertFile`"},
		{Name: "key", From: "A", Becomes: "`tlsKeyFile`"},
		{Name: "keyPassword", From: "A", Becomes: "nothing: store the key unencrypted (PKCS#8)"},
		{Name: "ca", From: "A", Becomes: "`tlsCAFile`"},
		{Name: "databaseIndex", From: "M", Becomes: "`database`; nothing in a Cluster"},
	}
}

func redisFamily() Family {
	return Family{
		Types: []string{"redis", "redis-cluster", "redis-sentinel"}, Engine: "redis", needs: []string{"listName"}, convert: convertList,
		Keys: concat([]Key{
			{Name: "listName", From: "M", Becomes: "`list`; a set, a hash or a sorted set has a layout of its own"},
			{Name: "listLength", From: "M", Becomes: "`target`"},
			{Name: "activationListLength", From: "M", Becomes: "`activation`"},
		}, redisConnection()),
	}
}

func streamsFamily() Family {
	return Family{
		Types: []string{"redis-streams", "redis-cluster-streams", "redis-sentinel-streams"}, Engine: "redis", needs: []string{"stream"}, convert: convertStream,
		Keys: concat([]Key{
			{Name: "stream", From: "M", Becomes: "`stream`"},
			{Name: "consumerGroup", From: "M", Becomes: "`consumerGroup`"},
			{Name: "lagCount", From: "M", Becomes: "`target`, with `count: ready`"},
			{Name: "pendingEntriesCount", From: "M", Becomes: "`target`, of a group without `lagCount`"},
			{Name: "streamLength", From: "M", Becomes: "`target`, without a group"},
			{Name: "activationLagCount", From: "M", Becomes: "`activation`"},
		}, redisConnection()),
	}
}

// convertList converts a trigger for the size of a key.
func convertList(c *conversion) {
	c.redisConnection()
	c.queue("list", "listName", true, "stub")
	c.Was = c.named("listName")
	c.metric("redis-")
	c.target(c.number("listLength", "5", true), "listLength", c.number("activationListLength", "0", true), "activationListLength")
	c.job()
	if c.Left != "" {
		return
	}
	c.find(Same, "listName", "the length of the list. A set, a hash or a sorted set is refused: write set, hash or sortedSet (with score: none) in place of list")
	for _, p := range framework.Redis(c.Queue) {
		c.find(Better, "listName", "%s", p)
	}
}

// convertStream converts a trigger for the lag, the pending entries or the length of a stream.
func convertStream(c *conversion) {
	if c.trigger.Metadata["listName"].Text != "" {
		c.find(Unread, "listName", "is for lists")
	}
	c.redisConnection()
	c.queue("stream", "stream", true, "stub")
	c.Was = c.named("stream")
	c.metric("redis-streams-")
	activation := c.number("activationLagCount", "0", true)
	group, lag := c.get("consumerGroup").Text, c.number("lagCount", "0", true)
	if group == "" {
		c.target(c.number("streamLength", "5", true), "streamLength", activation, "activationLagCount")
		c.job()
		c.find(Same, "stream", "the length of the stream")
		return
	}
	c.put("consumerGroup", group, "consumerGroup")
	if lag != 0 {
		c.target(lag, "lagCount", activation, "activationLagCount")
		c.count("ready")
		c.job()
		c.find(Same, "lagCount", "the lag of the group. A lag that Redis does not know is 0 for KEDA, and an upper bound or an error here")
		c.find(Better, "lagCount", "without count: ready, entries that were served and not acknowledged count as well; they keep the workload running in any case")
		return
	}
	c.target(c.number("pendingEntriesCount", "5", true), "pendingEntriesCount", activation, "activationLagCount")
	if c.trigger.Formula {
		c.count("inFlight")
	}
	c.job()
	c.find(Changed, "pendingEntriesCount", "KEDA counts entries that were served and not acknowledged, so it cannot start the first replica; entries that wait count here as well, unless a formula of the object uses the number")
}

// redisConnection sets the settings of the connection.
func (c *conversion) redisConnection() {
	mode := ""
	switch {
	case strings.Contains(c.trigger.Type, "cluster"):
		mode = "cluster"
	case strings.Contains(c.trigger.Type, "sentinel"):
		mode = "sentinel"
	}
	c.set("mode", mode)
	c.redisAddresses(mode)
	if mode == "sentinel" {
		c.require("masterName", "sentinelMaster")
		c.login("sentinelUsername", "sentinelPassword")
	}
	if index := c.number("databaseIndex", "0", true); index != 0 && mode != "cluster" {
		c.set("database", number(index))
	}
	c.login("username", "password")
	c.redisTLS()
}

// login sets a user and the password. Without a password the engine takes no user.
func (c *conversion) login(user, password string) {
	set := c.copySecret(password, KindSecret, password)
	if c.get(user).IsSet() && !set && c.trigger.AuthUnknown != "" {
		c.Settings = append(c.Settings, Setting{Name: password, Kind: KindSecret, Gap: c.trigger.AuthUnknown})
		set = true
	}
	if v := c.get(user); v.IsSet() && !set {
		c.find(Changed, user, "left out: it has no password, so that KEDA did not log in with it")
		return
	}
	c.copyText(user, user)
}

// redisAddresses sets the addresses, which KEDA takes whole or as hosts and ports.
func (c *conversion) redisAddresses(mode string) {
	whole, hosts, ports := c.get("address", "addresses"), c.get("host", "hosts"), c.get("port", "ports")
	for _, v := range []Value{whole, hosts, ports} {
		if v.IsSet() && !v.IsPlain() {
			why := c.why(v)
			c.add(Finding{Level: Gap, Line: v.Line, Key: v.Key, Text: "addresses of the connection: " + why})
			c.gap("addresses", "%s", why)
			return
		}
	}
	all := split(whole.Text)
	h, p := split(hosts.Text), split(ports.Text)
	key := whole.Key
	switch {
	case len(h) > 0:
		key = hosts.Key
	case len(p) > 0:
		key = ports.Key
	}
	if len(h) != len(p) {
		c.leave(key, "KEDA refuses this trigger: it has not as many hosts as ports")
		return
	}
	for i := range h {
		all = append(all, h[i]+":"+p[i])
	}
	if len(all) == 0 && c.trigger.AuthUnknown != "" {
		c.gap("addresses", "%s", c.trigger.AuthUnknown)
		return
	}
	if mode == "" && len(all) > 1 {
		c.find(Changed, key, "KEDA took the first address alone, and so does the result: it left out %d", len(all)-1)
		all = all[:1]
	}
	c.addresses(all, key)
}

// redisTLS sets what concerns TLS, which KEDA reads from two keys.
func (c *conversion) redisTLS() {
	meta, auth := c.get("enableTLS"), c.get("tls")
	if meta.IsSet() && auth.IsSet() {
		c.leave("enableTLS", "KEDA refuses this trigger: TLS is set in the trigger and in the TriggerAuthentication")
		return
	}
	on := c.flag("enableTLS", false)
	switch {
	case auth.IsSet() && !auth.IsPlain():
		why := c.why(auth)
		c.find(Gap, "tls", "tls of the connection: %s: write tls: true or false", why)
		c.Settings = append(c.Settings, Setting{Name: "tls", Gap: why, Stub: "true"})
		on = true
	case auth.IsSet():
		on = c.tlsWord(auth.Text, "tls")
		fallthrough
	default:
		if on {
			c.set("tls", "true")
		}
	}
	c.tlsFiles(on)
}

// tlsWord reads enable and disable.
func (c *conversion) tlsWord(text, key string) bool {
	if text != "enable" && text != "disable" && text != "" {
		c.leave(key, "KEDA refuses this trigger: %s is neither enable nor disable", key)
	}
	return text == "enable"
}

// tlsFiles sets the files of TLS. Without TLS KEDA does not use them.
func (c *conversion) tlsFiles(on bool) {
	if v := c.get("keyPassword"); v.IsSet() && on {
		c.find(Cannot, "keyPassword", "a key with a password cannot be used: store it unencrypted (PKCS#8)")
	}
	names := [][]string{{"tlsCAFile", "ca"}, {"tlsCertFile", "cert", "Cert"}, {"tlsKeyFile", "key"}}
	for _, n := range names {
		keys := slices.DeleteFunc(slices.Clone(n[1:]), func(name string) bool { _, known := c.family.key(name); return !known })
		v := c.get(keys...)
		if !v.IsSet() {
			continue
		}
		if !on {
			c.find(Unread, v.Key, "left out: KEDA did not use it, because TLS is off")
			continue
		}
		c.copySecret(n[0], KindFile, keys...)
	}
	if _, known := c.family.key("unsafeSsl"); known && c.flag("unsafeSsl", false) {
		if !on {
			c.find(Unread, "unsafeSsl", "left out: TLS is off")
			return
		}
		c.set("tlsInsecureSkipVerify", "true")
	}
}
