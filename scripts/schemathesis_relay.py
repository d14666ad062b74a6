"""Listens on a free port of 127.0.0.1, prints it, and leads every connection to a unix socket."""

import socket
import sys
import threading


def lead(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass  # the other side is gone, which the shutdown below tells this one
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(client, path):
    upstream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with client, upstream:
        upstream.connect(path)
        back = threading.Thread(target=lead, args=(upstream, client), daemon=True)
        back.start()
        lead(client, upstream)
        back.join()


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print("127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, sys.argv[1]), daemon=True).start()


main()
