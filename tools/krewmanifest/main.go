// Command krewmanifest prints the manifest by which Krew installs the plugin of kubectl, for the archives of a
// release:
//
//	go run ./tools/krewmanifest -version v1.2.3 dist > backlog.yaml
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: arguments in, exit code out.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("krewmanifest", flag.ContinueOnError)
	flags.SetOutput(stderr)
	version := flags.String("version", "", "tag of the release, such as v1.2.3")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() != 1 {
		fmt.Fprintln(stderr, "krewmanifest: want one folder with the archives, such as dist")
		return 2
	}
	archives, err := find(flags.Arg(0), *version)
	if err == nil {
		err = write(stdout, *version, archives)
	}
	if err != nil {
		fmt.Fprintln(stderr, "krewmanifest:", err)
		if errors.Is(err, errVersion) {
			return 2
		}
		return 1
	}
	return 0
}
