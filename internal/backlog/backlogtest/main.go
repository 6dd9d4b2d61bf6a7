package backlogtest

import (
	"flag"
	"runtime"
	"strconv"

	"go.uber.org/goleak"
)

// sideBySide is how many tests of a package run at a time, unless there are more processors.
const sideBySide = 8

// Main runs the tests of a package that talks to servers, and checks for leaked goroutines. More
// tests run side by side than there are processors, because they wait more than they compute. It
// ends the process.
func Main(m goleak.TestingM, options ...goleak.Option) {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(max(sideBySide, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, options...)
}
