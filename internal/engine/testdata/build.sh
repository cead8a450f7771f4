# Builds a small program, as the benchmarks' realistic mix of calls.
mkdir src && cd src
for i in 1 2 3; do
	printf '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint f%d(void) { puts("f%d"); return %d; }\n' $i $i $i > f$i.c
done
printf 'int f1(void), f2(void), f3(void);\nint main(void) { return f1() + f2() + f3() - 6; }\n' > main.c
for f in *.c; do cc -O1 -c "$f" -o "${f%.c}.o" || exit; done
ar rcs libf.a f1.o f2.o f3.o
cc -o main main.o -L. -lf
./main
sed -i 's/puts/puts/' f1.c
grep -l include *.c | sort > list
tar cf ../src.tar . && rm -r ../src
