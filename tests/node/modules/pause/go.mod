module node/pause

go 1.26
