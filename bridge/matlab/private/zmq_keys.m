function zmq_keys(socket, folder)
%ZMQ_KEYS  Encrypt and authenticate with the keys in a folder from `rtrecon keys`.
server = fileread(fullfile(folder, 'server.key'));
client = fileread(fullfile(folder, 'client.key_secret'));
try
    socket.setCurveServerKey(key_in(server, 'public-key'));
    socket.setCurvePublicKey(key_in(client, 'public-key'));
    socket.setCurveSecretKey(key_in(client, 'secret-key'));
catch problem
    error('rtrecon:jeromq', ['the keys in %s cannot be used; JeroMQ has keys from ' ...
                             'version 0.5 on: %s'], folder, problem.message);
end
end

function key = key_in(text, name)
found = regexp(text, [name '\s*=\s*"(.{40})"'], 'tokens', 'once');
if isempty(found)
    error('rtrecon:jeromq', 'it has no %s', name);
end
key = javaMethod('z85Decode', 'org.zeromq.ZMQ$Curve', found{1});
end
