# Keeps a server as long as standard input is open: lines "start" and "stop" do what they say.
# Arguments: folder of the programs, folder of the server, port, further options.
programs=$1 folder=$2 port=$3
shift 3
server=
exec >>"$folder/log" 2>&1

end() {
    if [ -n "$server" ]; then
        kill -"$1" "$server" 2>/dev/null
        wait "$server"
        server=
    fi
}

"$programs/initdb" --auth=trust --username=postgres --encoding=UTF8 --no-locale --no-sync \
    --no-instructions --pgdata="$folder/data" || exit 1
while read -r word; do
    case $word in
    start)
        "$programs/postgres" -D "$folder/data" -p "$port" -k "$folder" -c listen_addresses=127.0.0.1 \
            -c fsync=on -c max_connections=200 -c shared_buffers=64MB "$@" </dev/null &
        server=$!
        ;;
    stop) end INT ;;
    esac
done
end QUIT
cd / && rm -rf "$folder"
