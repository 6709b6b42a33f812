function net = fcn16_init(net)
% FCN16_INIT  FCN-16s from FCN-32s: scores of pool4 are added to scores at twice their size

net.removeLayer('deconv32') ;
classes = net.layers(net.getLayerIndex('fc8')).block.size(4) ;

filters = bilinear_u(4, 1, classes) ;
net.addLayer('deconv2', ...
  dagnn.ConvTranspose('size', size(filters), 'upsample', 2, 'crop', 1, 'hasBias', false), ...
  'x38', 'x39', 'deconv1f') ;
f = net.getParamIndex('deconv1f') ;
net.params(f).value = filters ;
net.params(f).learningRate = 0 ;

% scores of pool4, from nought
depth = net.layers(net.getLayerIndex('conv4_3')).block.size(4) ;
net.addLayer('skip4', dagnn.Conv('size', [1 1 depth classes], 'pad', 0), 'x24', 'x40', {'skip4f', 'skip4b'}) ;
f = net.getParamIndex('skip4f') ;
net.params(f).value = zeros(1, 1, depth, classes, 'single') ;
net.params(f).learningRate = 0.1 ;
net.params(f).weightDecay = 1 ;
f = net.getParamIndex('skip4b') ;
net.params(f).value = zeros([classes 1], 'single') ;
net.params(f).learningRate = 2 ;

net.addLayer('sum1', dagnn.Sum(), {'x39', 'x40'}, 'x41') ;

filters = bilinear_u(32, classes, classes) ;
net.addLayer('deconv16', ...
  dagnn.ConvTranspose('size', size(filters), 'upsample', 16, 'crop', 8, 'numGroups', classes, 'hasBias', false), ...
  'x41', 'prediction', 'deconvf') ;
f = net.getParamIndex('deconvf') ;
net.params(f).value = filters ;
net.params(f).learningRate = 0 ;
net.vars(net.getVarIndex('prediction')).precious = 1 ;
