function net = fcn8_init(net)
% FCN8_INIT  FCN-8s from FCN-16s: scores of pool3 are added too

net.removeLayer('deconv16') ;
classes = net.layers(net.getLayerIndex('fc8')).block.size(4) ;
depth = net.layers(net.getLayerIndex('conv3_3')).block.size(4) ;

filters = bilinear_u(4, 1, classes) ;
net.addLayer('deconv2bis', ...
  dagnn.ConvTranspose('size', size(filters), 'upsample', 2, 'crop', 1, 'hasBias', false), ...
  'x41', 'x42', 'deconv2f') ;
net.addLayer('skip3', dagnn.Conv('size', [1 1 depth classes], 'pad', 0), 'x17', 'x43', {'skip3f', 'skip3b'}) ;
net.addLayer('sum2', dagnn.Sum(), {'x42', 'x43'}, 'x44') ;

values = {'deconv2f', filters, 0; ...
          'skip3f', zeros(1, 1, depth, classes, 'single'), 0.01; ...
          'skip3b', zeros(classes, 1, 'single'), 2} ;
for v = values'
  [name, value, rate] = v{:} ;
  p = net.getParamIndex(name) ;
  net.params(p).value = value ;
  net.params(p).learningRate = rate ;
  net.params(p).weightDecay = 1 ;
end

filters = bilinear_u(16, classes, classes) ;
net.addLayer('deconv8', ...
  dagnn.ConvTranspose('size', size(filters), 'upsample', 8, 'crop', 4, 'numGroups', classes, 'hasBias', false), ...
  'x44', 'prediction', 'deconvf') ;
f = net.getParamIndex('deconvf') ;
net.params(f).value = filters ;
net.params(f).learningRate = 0 ;
