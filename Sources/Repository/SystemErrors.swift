import Glibc

func lastErrno() -> Int32 { errno }
