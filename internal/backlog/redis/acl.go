package redis

// ACLRules are the least rights that the scaler's user needs, apart from the keys:
//
//	ACL SETUSER scaler on >PASSWORD resetkeys %R~jobs:* <ACLRules>
//
// Redis before 7.0 has no rights to read only: write ~jobs:* there. Redis before 6.2 has no
// rights to channels: leave out resetchannels and &__redis__:invalidate. Without INFO every
// reconnect counts as a restart of the server, a replica that has lost its master is read
// as it is, and changes are not noticed, so that idle queues are polled. So it is without
// CLIENT TRACKING, SUBSCRIBE and the channel. CLIENT GETREDIR notices that tracking was
// switched off on the way. Without MULTI and EXEC a queue that seems to have become empty is
// read twice instead of once as a whole.
const ACLRules = "resetchannels &__redis__:invalidate -@all " +
	"+ping +info +select +client|id +client|setname +client|tracking +client|getredir +subscribe " +
	"+llen +scard +hlen +zcard +zcount +zrange +zrangebyscore +xlen +xpending +xinfo|groups +xinfo|stream +exists +type +multi +exec"

// ACLKeyspaceRules are needed in addition where keyspace notifications take the place
// of tracking; the channels are those of the database and the keys.
const ACLKeyspaceRules = "+config|get +subscribe +unsubscribe &__keyspace@*__:*"

// ACLScanRules are needed in addition by streams that are counted by their entries.
const ACLScanRules = "+xrange"

// ACLClusterRules are needed in addition in a cluster. Without CLUSTER NODES idle queues
// are read where they would be confirmed, and of nodes that do not agree most are believed.
const ACLClusterRules = "+cluster|slots +cluster|nodes +asking"

// ACLFrameworkRules are needed in addition by job frameworks. They let the scaler read
// single fields and elements, such as the id of the next job or a counter of jobs; no command that it sends
// asks for a payload unless the trigger says so, or, as in Sidekiq, nothing else shows
// which queue a job belongs to.
const ACLFrameworkRules = "+lindex +get +hmget +hget +sismember +srandmember +sscan +hvals"

// ACLMessageRules are needed in addition by celery and dramatiq, where only a message
// shows which queue it was taken from, or when it is due. Without them the counts are
// upper bounds.
const ACLMessageRules = "+hrandfield"

// ACLResqueRules are needed in addition by resque, where only a job shows which queue
// it is for, and only a worker what it works on.
const ACLResqueRules = "+lrange"

// ACLWorkerRules are needed in addition by policies that ask the queue which workers are busy: of
// the consumers of a stream, and of the jobs that BullMQ's workers have taken.
const ACLWorkerRules = "+xinfo|consumers +lrange"

// ACLPatternRules are needed in addition where patterns name queues that the framework
// keeps no list of, and by sidekiq, where nothing lists the private lists of a reliable
// fetch. Without them there is no hint under which prefix a queue is that is not there.
const ACLPatternRules = "+scan"
