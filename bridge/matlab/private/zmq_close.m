function zmq_close(door)
%ZMQ_CLOSE  Close socket and thread; what waits is given its linger.
door.context.close();
end
