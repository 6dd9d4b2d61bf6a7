package cli

import (
	"io"
	"os"

	"golang.org/x/term"
)

// TerminalSize returns a function that returns the size of the terminal in columns and rows. It
// is nil if out is not a terminal, or one that cannot move its cursor.
func TerminalSize(out io.Writer) func() (width, height int) {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return func() (width, height int) {
		width, height, err := term.GetSize(int(file.Fd()))
		if err != nil || width <= 0 || height <= 0 {
			return 80, 24
		}
		return width, height
	}
}
