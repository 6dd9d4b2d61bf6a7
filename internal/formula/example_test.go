package formula_test

import (
	"fmt"

	"github.com/backlog-scaler/backlog-scaler/internal/formula"
)

// A misspelled name is found before the formula is used.
func ExampleCompile() {
	_, err := formula.Compile("backlgo / 20", []string{"backlog", "current"})
	fmt.Println(err)
	f, err := formula.Compile("ceil(backlog / 20)", []string{"backlog", "current"})
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(f.Evaluate(formula.Values{"backlog": 90}))
	// Output:
	// unknown name backlgo at 1:1, want one of backlog, current; did you mean backlog?
	// 5 <nil>
}
