package terminal

// The sequences of a terminal (ECMA-48, and xterm's private modes).
const (
	// Enter switches to a screen of the program's own, without a cursor; Leave brings back what was there before.
	Enter = "\x1b[?1049h\x1b[?25l"
	Leave = "\x1b[?25h\x1b[?1049l"
	// Home moves the cursor to the first column of the first row.
	Home = "\x1b[H"
	// ClearScreen, ClearLine, ClearLineEnd and ClearScreenEnd erase the screen, the row of the cursor, and what
	// follows the cursor in its row and on the screen. None of them moves the cursor.
	ClearScreen    = "\x1b[2J"
	ClearLine      = "\x1b[2K"
	ClearLineEnd   = "\x1b[K"
	ClearScreenEnd = "\x1b[J"
	// Bold, Dim and Green begin a style, and Reset ends it.
	Bold  = "\x1b[1m"
	Dim   = "\x1b[2m"
	Green = "\x1b[32m"
	Reset = "\x1b[0m"
)
