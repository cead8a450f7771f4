# Calls of many kinds, some of which fail, in an empty directory.
# Falco does not know files that were open before it began.
exec < /dev/null > /dev/null 2> /dev/null
cat /etc/hostname > /dev/null
cat ./missing 2> /dev/null
mkdir -p d/e; cd d; echo hi > file; ln -s file link; cat ./link > /dev/null; ln file hard; mv hard ../moved
chmod 4755 file; chown 0:0 file 2> /dev/null; rm link; rmdir e; cat ../../../../etc/../etc/passwd > /dev/null
echo hi | cat > out
(exec 3<>/dev/tcp/127.0.0.1/1) 2> /dev/null
kill -0 $$
touch -d yesterday file; stat file > /dev/null
bash -c 'exec -a fancy sleep 0'
/usr/bin/python3 "$1"
