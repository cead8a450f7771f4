# Things that the upstream rules are about, done so that nothing stays behind:
# in an empty directory, or so that they fail.
exec < /dev/null > /dev/null 2> /dev/null
cat /etc/shadow
cat /etc/../etc/shadow
ln -s /etc/shadow soft
ln /etc/shadow hard
ln -s /etc/../etc/shadow soft2
find . -name id_rsa
grep -r "BEGIN RSA PRIVATE" .
find . -iname .aws/credentials
find . -maxdepth 1 -name "*aws/credentials*"
echo cm0K | base64 -d > decoded
shred -u decoded
touch .bash_history; shred .bash_history; rm .bash_history
touch x.log; truncate -s 0 x.log
cp /bin/true /dev/shm/falcotest-true; /dev/shm/falcotest-true; rm /dev/shm/falcotest-true
cp /bin/true ./true; chmod u+s ./true; ./true
mkdir .hidden; touch .hidden/.file; mv .hidden .other
mkdir .ssh; touch .ssh/authorized_keys
cat .ssh/id_rsa
touch .bashrc .profile
unshare -m true
nsenter -t 1 -m true
mount -t tmpfs none /nonexistent
nc -h
tcpdump --version
nmap --version
curl --version
systemctl --version
crontab -l
useradd --help
passwd --help
gcore
chmod 4755 .hidden
dd if=/dev/zero of=big bs=1k count=1
bash -c 'exec -a httpd bash -c "bash -c true"'
cp /bin/bash ./java; ./java -c 'sh -c true; exec 3<>/dev/tcp/127.0.0.1/1'
(exec 3<>/dev/tcp/127.0.0.1/4444)
(exec 3<>/dev/udp/127.0.0.1/53; echo hi >&3)
/usr/bin/python3 "$1"
rm -rf .ssh .other .bashrc
